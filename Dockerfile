# One image for every role: ackfirst ingest | worker | web | simulate. An image of your own begins FROM it
# (docs/deployment.md). Needs neither BuildKit nor a frontend from a registry.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# The libraries first: a change of our code leaves this layer alone.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
 && python -m venv --without-pip /opt/ackfirst \
 && pip --no-cache-dir --python /opt/ackfirst/bin/python install -c constraints.txt -r requirements.txt
COPY README.md LICENSE ./
COPY shared shared
COPY ingest ingest
COPY workers workers
COPY ops ops
COPY simulator simulator
COPY pytest_plugin pytest_plugin
COPY src src
RUN pip --no-cache-dir --python /opt/ackfirst/bin/python install --no-deps .

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="ackfirst" \
      org.opencontainers.image.description="Answers Nexmo (Vonage) callbacks at once, processes them later" \
      org.opencontainers.image.licenses="MIT"
# Owner of whatever a container writes; a number, because a volume knows no names.
ARG UID=10001
RUN groupadd --gid "${UID}" ackfirst \
 && useradd --uid "${UID}" --gid ackfirst --no-create-home --home-dir /var/lib/ackfirst --shell /usr/sbin/nologin ackfirst \
 && install -d -o ackfirst -g ackfirst -m 0700 /var/lib/ackfirst \
 && install -d -o ackfirst -g ackfirst -m 0750 /etc/ackfirst \
 && install -d -m 0755 /srv/handlers /srv/app
COPY --from=build /opt/ackfirst /opt/ackfirst
# PIP_PYTHON: `pip install` in an image of your own puts libraries where your handlers find them; your modules go into
# /srv/app. /srv/handlers is where docker-compose.yml mounts a folder of handlers.
# Nothing is written beside the code: the root file system may be read-only.
ENV PATH=/opt/ackfirst/bin:$PATH \
    PIP_PYTHON=/opt/ackfirst/bin/python \
    PYTHONPATH=/srv/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ACKFIRST_DATA_DIR=/var/lib/ackfirst
WORKDIR /srv/handlers
USER ${UID}:${UID}
STOPSIGNAL SIGTERM
# Sees from the container's own command which role it has to ask.
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 CMD ["python", "-I", "-m", "ackfirst.ops.health"]
ENTRYPOINT ["ackfirst"]
CMD ["--help"]
