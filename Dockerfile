# The daemon itself, in a container. It drives the engine it is told of, so that engine's socket is mounted:
#
#   docker build -t paasd .          # without a registry: --build-arg BASE=paasd/stack:bookworm (made by `make setup`)
#   docker run -d --name paasd --network host --cap-add NET_ADMIN \
#       -v /var/run/docker.sock:/var/run/docker.sock -v paasd-home:/var/lib/paasd paasd
#   docker exec paasd paasd token
#
# Whoever holds that socket is root on the machine: give it to this container and to no other, and never to an app.
# --network host, because router and daemon speak to dynos by their addresses on the engine's networks and listen on
# 127.0.0.1:5500 (API) and 127.0.0.1:8080 (apps). NET_ADMIN lets the daemon keep dynos away from the host's own
# services; without it `paasd doctor` says that they can reach them. Stopping this container stops the router in it
# too, while dynos run on: to replace the daemon without a lost request, run the router as a unit of its own.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
USER root
WORKDIR /src
RUN python3 -m venv /opt/paasd
COPY requirements.lock ./
RUN /opt/paasd/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY paasd paasd
COPY router router
RUN /opt/paasd/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/paasd/bin/pip uninstall -qy pip

FROM ${BASE}
USER root
# git takes the pushes; iptables keeps dynos from the host's services. A base that has them is left as it is.
RUN if ! command -v git >/dev/null || ! command -v iptables >/dev/null; then \
        apt-get update -q && apt-get install -qy --no-install-recommends git iptables ca-certificates \
        && rm -rf /var/lib/apt/lists/*; \
    fi \
    && install -d -m 700 /var/lib/paasd
COPY --from=build /opt/paasd /opt/paasd
ENV PATH=/opt/paasd/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/paasd
VOLUME /var/lib/paasd
EXPOSE 5500 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["paasd"]
CMD ["serve", "--home", "/var/lib/paasd"]
