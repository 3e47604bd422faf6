"""The stack: the image that apps without a Dockerfile run on, and the tool image that installs their packages."""

STACK = "bookworm"
STACK_IMAGE = "paasd/stack:bookworm"
UV_IMAGE = "paasd/uv:latest"
PYTHON = "3.11"
