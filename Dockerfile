# One image, three commands; each container runs one of them. What is copied in is what .dockerignore admits.
#   docker run codevector-provider-service                              the registry
#   docker run --entrypoint provider-kms codevector-provider-service    the key sidecar
#   docker run --entrypoint provider-console codevector-provider-service    the console

FROM python:3.13-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir "uv>=0.11,<1"
RUN uv venv /opt/venv
# Dependencies first: they change less often than the sources.
COPY requirements/runtime.lock /src/requirements/
RUN uv pip install --python /opt/venv/bin/python --require-hashes -r /src/requirements/runtime.lock
COPY . /src
RUN uv pip install --python /opt/venv/bin/python --no-deps /src/gen /src/sdk /src

FROM python:3.13-slim
LABEL org.opencontainers.image.title="CodeVector provider service" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 codevector \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin codevector \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/codevector
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    CODEVECTOR_HOME=/var/lib/codevector \
    GRPC_ENABLE_FORK_SUPPORT=0 \
    MALLOC_ARENA_MAX=2
# What GetSystemInfo shows as the build: docker build --build-arg BUILD="$(git describe --always --dirty)" .
ARG BUILD=
ENV CODEVECTOR_BUILD=$BUILD
USER 10001:10001
WORKDIR /var/lib/codevector
# The only place that is written: the rest of the root may be read-only.
VOLUME /var/lib/codevector
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-m", "service", "--health"]
ENTRYPOINT ["provider-service"]
