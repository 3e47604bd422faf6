"""The images that builds take their tools from; each is made by `make setup`."""

UV_IMAGE = "paasd/uv:latest"
NODE_IMAGE = "paasd/node"  # :24
BUILDPACKS_IMAGE = "paasd/buildpacks:latest"
STATIC_IMAGE = "paasd/static:latest"
