"""`python -m caffe_lint`."""

from .main import main

main()
