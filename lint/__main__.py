"""`python -m caffe_lint`."""

from .cli import main

main()
