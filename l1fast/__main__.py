from l1fast.cli import main

raise SystemExit(main())
