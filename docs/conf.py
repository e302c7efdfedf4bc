"""Sphinx configuration. The pages need nothing from the network, when they are built or when they are read."""

import re

import numpydoc.xref
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

import l1fast

project = "l1fast"
author = "the l1fast developers"
project_copyright = author
version = release = l1fast.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "measured"]
templates_path = ["_templates"]
default_role = "obj"  # `solve` in a docstring is a link
highlight_language = "none"  # but for blocks that name theirs, and for doctests
smartquotes = False  # X' is a transpose
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r"[a-z_][\w.]*"),  # parameters, attributes, other packages
    ("py:obj", "System"),  # a private class
]

# -- pages ---------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"l1fast {release}"
html_static_path = ["_static"]
html_css_files = ["l1fast.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "l1fast"},
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {name: [] for name in ("[!ag]*", "guide", "auto_examples/*")}  # all but api and generated/*

# -- reference -----------------------------------------------------------------------------------------------------

autodoc_typehints = "none"  # numpydoc says it in words
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False  # the template of classes asks for them
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # but for our own names:
numpydoc.xref.DEFAULT_LINKS.clear()  # those of Python and NumPy would need their inventories from the network
numpydoc_xref_aliases = {name: f"l1fast.{name}" for name in (*l1fast.__all__, *l1fast.ESTIMATORS)}
FORMULA = ".. code-block:: text\n    :class: formula\n"
PROSE_SECTIONS = ("Notes", "Examples", "References")

# -- README and its companions -------------------------------------------------------------------------------------

suppress_warnings = ["myst.header"]  # parts of the README begin below their first heading
myst_enable_extensions = ["attrs_block"]
PAGES = {
    "#coming-from-scikit-learn-or-glmnet": "converting.md",
    "benchmarks/RESULTS.md": "results.md",
    **{f"docs/{page}": page for page in ("blocks.md", "dask.md", "scale-out.md")},
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
}

# -- gallery -------------------------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "image_srcset": ["2x"],
    "abort_on_example_error": True,
    "write_computation_times": False,
    "show_signature": False,
    "download_all_examples": False,
}

TIGHT = r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'  # bars and strokes as in TeX


def link_pages(app, path, docname, content):
    """Links of the README lead to the pages made of its parts."""
    for target, page in PAGES.items():
        content[0] = content[0].replace(f"]({target})", f"]({page})")


def quote_formulas(app, what, name, thing, options, lines):
    """What reST would misread in a docstring: |w_j| is an absolute value, and formulas are paragraphs of their own.

    A formula is indented, or begins with "minimise"; wide gaps part its lines. Code, and the entries of the sections
    of a numpydoc docstring, stay as they are.
    """
    result, code, entries, after_blank = [], False, False, True
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        indented = line[:1] == " "
        if following and not following.strip("-"):
            entries, code = line not in PROSE_SECTIONS, False
        elif after_blank and line.startswith("minimise "):
            first, *others = re.split(" {3,}", line)
            line = "\n".join([FORMULA, f"    {first}", *(f"        {other}" for other in others)])
            code = True
        elif after_blank and indented and not entries and not code:
            line, code = f"{FORMULA}\n{line}", True
        elif line.startswith(">>>"):
            code = True
        elif line and not indented and after_blank:
            code = False
        after_blank = not line.strip()
        result += (line if code else re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", line)).split("\n")
        code = code or line.endswith("::")
    # an initial is no list item: ".. [1] P. J. Huber"
    lines[:] = [re.sub(r"^(\.\. \[\w+\] )(?=[A-Z]\. )", r"\1\\", line) for line in result]


def find_elsewhere(app, env, node, content):
    """`Comparison` in l1fast.plot is a link as it is in l1fast, and so is `distance` in every penalty."""
    domain = env.domains.python_domain
    for scope in ("l1fast", "l1fast.penalties.Penalty"):
        name = f"{scope}.{node.get('reftarget')}"
        if node.get("reftype") == "obj" and name in domain.objects:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)
    return None


def visit_math(self, node):
    """LaTeX as MathML, which browsers set themselves: no script, no font and no picture has to be fetched."""
    block, source = isinstance(node, nodes.math_block), node.astext()
    try:
        if re.search(r"frac\s*[^\s{]", source):
            raise MathError("the converter misreads a fraction without braces")
        formula = re.sub(r"<mo[^>]*>([|/])</mo>", TIGHT, tex2mathml(source, as_block=block))
    except MathError as error:
        logging.getLogger(__name__).warning("no MathML for %r: %s", source, error, location=node)
        raise nodes.SkipNode from error
    self.body.append(f'<div class="formula">{formula}</div>\n' if block else formula)
    raise nodes.SkipNode


def setup(app):
    """Register the hooks above."""
    app.add_html_math_renderer("mathml", inline_renderers=(visit_math, None), block_renderers=(visit_math, None))
    app.connect("include-read", link_pages)
    app.connect("missing-reference", find_elsewhere)
    app.connect("autodoc-process-docstring", quote_formulas, priority=400)  # before numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
