"""The images that builds stand on or take their tools from."""

UV_IMAGE = "paasd/uv:latest"
