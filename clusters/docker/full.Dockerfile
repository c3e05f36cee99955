# Purpose:  everything: training, annotation, RALI, serving of both models. For GPU nodes and for heads of such clusters.
# Build:    docker build -f clusters/docker/full.Dockerfile -t REGISTRY/ray-iqa-full:0.1.0 .
# torch brings CUDA's libraries with it and the node's driver is mounted by the NVIDIA runtime; the compiler is for Triton.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential rsync openssh-client procps wget \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/ray_iqa
COPY requirements/gpu.txt requirements/gpu.txt
RUN pip install --no-cache-dir -r requirements/gpu.txt py-spy

COPY pyproject.toml README.md LICENSE ./
COPY ray_iqa ray_iqa
COPY actors actors
COPY configs configs
COPY serve_app.py ./
RUN pip install --no-cache-dir --no-deps . && pip check

ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    RAY_AUTH_MODE=token \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=actors.serve_proxy:middlewares \
    PYTHONUNBUFFERED=1
