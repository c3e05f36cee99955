# Purpose:  the light scorer and its endpoint: no vLLM, no DeepSpeed, no CUDA.
# Build:    docker build -f clusters/docker/light.Dockerfile -t REGISTRY/ray-iqa-light:0.1.0 .
# Try:      docker run --rm -v $PWD:/images ray-iqa-light:0.1.0 ray-iqa score /images/pictures --model /images/scorer
FROM python:3.11-slim-bookworm

# KubeRay's probes call it.
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/ray_iqa
COPY pyproject.toml README.md LICENSE ./
COPY ray_iqa ray_iqa
COPY actors actors
COPY configs configs
COPY serve_app.py ./
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    '.[light,serve]' 'ray[default]' torch==2.13.0+cpu torchvision==0.28.0+cpu

# Only the endpoint and the scorer run here; neither needs root.
RUN useradd --create-home ray
USER ray
ENV RAY_AUTH_MODE=token \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=actors.serve_proxy:middlewares \
    PYTHONUNBUFFERED=1
