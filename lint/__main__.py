"""`python -m caffe_lint`.

Python puts the working folder, which may be anybody's checkout, at the head of the path on which it searches for modules, and
also an empty entry of PYTHONPATH means that folder. It is taken out before anything else is imported, unless the program
itself is installed there.
"""

import os
import sys

try:
    _HERE = os.path.realpath(os.curdir)
except FileNotFoundError:  # the folder was removed
    _HERE = ""
if os.path.dirname(os.path.dirname(os.path.realpath(__file__))) != _HERE:
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != _HERE]

from .cli.entry import main

main()
