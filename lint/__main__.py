"""`python -m caffe_lint`."""

from .cli.main import main

main()
