"""`l1fast.soft_threshold` against its NumPy meaning."""

import naive
import numpy as np
import pytest

import l1fast

SPECIAL = [0.0, -0.0, 1.5, -1.5, 0.5, -0.5, 1e-320, -1e300, np.inf, -np.inf, np.nan]
THRESHOLDS = (0.0, 0.5, 1.5, 1e-320, 1e300)


def meaning(x, threshold):
    """sign(x) (|x| - threshold)_+ computed in float64, in the dtype of x."""
    return naive.soft_threshold(x.astype(np.float64), threshold).astype(x.dtype)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype, threshold):
    with np.errstate(over="ignore", under="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    shrunk = l1fast.soft_threshold(x, threshold)
    assert shrunk.dtype == dtype
    np.testing.assert_array_equal(shrunk, meaning(x, threshold))
    assert np.isnan(shrunk[-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 3, 8, 17, 1000])
def test_sizes(size, dtype):
    x = np.random.default_rng(size).standard_normal(size).astype(dtype)
    np.testing.assert_array_equal(l1fast.soft_threshold(x, 0.75), meaning(x, 0.75))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.bool_, np.float16, ">f8", ">f4"])
def test_other_dtypes(dtype):
    x = np.arange(5).astype(dtype)
    shrunk = l1fast.soft_threshold(x, 1.5)
    assert shrunk.dtype in (np.float32, np.float64)
    np.testing.assert_array_equal(shrunk, naive.soft_threshold(x.astype(np.float64), 1.5))


def test_lists():
    np.testing.assert_array_equal(l1fast.soft_threshold([3, -1, 0.5], 1), [2, 0, 0])


@pytest.mark.parametrize("view", [np.s_[::2], np.s_[::-1], np.s_[5:2:-1], np.s_[3:3]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strided_input(dtype, view):
    x = np.linspace(-3, 3, 12).astype(dtype)
    before, expected = x.copy(), meaning(x[view], 1)
    np.testing.assert_array_equal(l1fast.soft_threshold(x[view], 1), expected)
    out = np.full_like(expected, 7)
    assert l1fast.soft_threshold(x[view], 1, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(x, before)


def test_any_shape():
    x = np.linspace(-3, 3, 12).reshape(2, 3, 2)
    np.testing.assert_array_equal(l1fast.soft_threshold(x, 1), meaning(x, 1))
    np.testing.assert_array_equal(l1fast.soft_threshold(x.T, 1), meaning(x, 1).T)
    assert l1fast.soft_threshold(-3.0, 1).shape == ()


def test_in_place_and_overlapping():
    x = np.linspace(-3, 3, 12)
    expected = meaning(x, 1)
    assert l1fast.soft_threshold(x, 1, out=x) is x
    np.testing.assert_array_equal(x, expected)

    for source, target in ((np.s_[:-1], np.s_[1:]), (np.s_[1:], np.s_[:-1])):
        held = np.linspace(-3, 3, 12)
        expected = meaning(held[source], 1)
        l1fast.soft_threshold(held[source], 1, out=held[target])
        np.testing.assert_array_equal(held[target], expected)


def test_input_is_not_changed():
    x = np.linspace(-3, 3, 12)
    x.flags.writeable = False
    l1fast.soft_threshold(x, 1)
    np.testing.assert_array_equal(x, np.linspace(-3, 3, 12))


@pytest.mark.parametrize("threshold", [-1.0, -1e-300, np.nan, "1", None, 1j])
def test_bad_thresholds(threshold):
    with pytest.raises((ValueError, TypeError), match="threshold"):
        l1fast.soft_threshold(np.ones(3), threshold)


@pytest.mark.parametrize("x", [np.ones(3) * 1j, np.array(["a"]), np.array([None])])
def test_bad_input(x):
    with pytest.raises((ValueError, TypeError)):
        l1fast.soft_threshold(x, 1.0)


def read_only(length):
    out = np.empty(length)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    "out", [np.empty(4), np.empty(3, "f4"), np.empty(3, int), np.empty(6)[::2], [0, 0, 0], read_only(3)]
)
def test_bad_out(out):
    with pytest.raises((ValueError, TypeError), match="out"):
        l1fast.soft_threshold(np.ones(3), 1.0, out=out)
