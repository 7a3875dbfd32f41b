# docker build -t caffe-lint . && docker run --rm -v "$PWD:/work" caffe-lint solver.prototxt
#
# tests/test_adoption.py runs the RUN lines in environments of its own, one a stage, with the files that COPY names.
FROM python:3.12-slim AS build
WORKDIR /build
COPY . source
RUN python -m pip wheel --quiet --disable-pip-version-check --wheel-dir wheels './source[proto,simulate]'

FROM python:3.12-slim
WORKDIR /install
RUN --mount=type=bind,from=build,source=/build/wheels,target=/install/wheels \
    python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-index --no-compile wheels/*.whl
# Nobody in particular: no account is needed, and none is privileged.
USER 65534:65534
WORKDIR /work
ENTRYPOINT ["caffe-lint"]
CMD ["--help"]
