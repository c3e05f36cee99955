"""`python -m actors`: the command line from a checkout that is not installed."""

import sys

from actors.cli import main

sys.exit(main())
