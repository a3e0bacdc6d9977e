"""`python -m tf2ms`."""

from tf2ms.cli import main

main()
