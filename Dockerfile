# authsrv in a container, with what it needs for PostgreSQL and for Redis or Valkey:
#
#   docker build -t authsrv .
#   docker run -p 8080:8080 -v authsrv:/var/lib/authsrv -v ./authsrv.toml:/etc/authsrv/authsrv.toml:ro authsrv
#
# Start from authsrv.example.toml. The database's URL there is sqlite:////var/lib/authsrv/authsrv.db, and the server
# listens on all of the container's addresses (0.0.0.0:8080). For several nodes: docs/deployment.md.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# Every file that is installed later passes its hash here, and nothing is fetched after this step.
COPY constraints.txt ./
RUN pip download --require-hashes --only-binary=:all: --dest wheels -r constraints.txt
RUN python -m venv tools \
 && tools/bin/pip install --no-index --find-links wheels hatchling
COPY pyproject.toml README.md LICENSE ./
COPY authsrv authsrv
COPY migrations migrations
COPY templates templates
RUN tools/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist .
RUN python -m venv --without-pip /opt/authsrv \
 && tools/bin/pip --python /opt/authsrv install --no-index --find-links wheels --find-links dist 'authsrv[postgres,redis]'

FROM python:3.12-slim
COPY --from=build /opt/authsrv /opt/authsrv
RUN useradd --system --uid 10001 --no-create-home authsrv \
 && install --directory --owner=authsrv --mode=0700 /var/lib/authsrv
# The base image comes without the bytecode of Python's own library, which every start would compile again otherwise.
RUN /opt/authsrv/bin/python -c "import authsrv.commands.serving, authsrv.serving.process, authsrv.storage.postgres.storage"
# Nothing outside of /var/lib/authsrv is ever written, so the root file system may be read-only.
ENV PATH=/opt/authsrv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/authsrv
VOLUME /var/lib/authsrv
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
ENTRYPOINT ["authsrv"]
CMD ["serve", "--migrate", "--config", "/etc/authsrv/authsrv.toml"]
