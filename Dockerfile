# The page, without a GPU:
#     docker build -t face-denoising-lab .
#     docker run --rm -p 7860:7860 face-denoising-lab
FROM python:3.12-slim

# The build of PyTorch without CUDA, 4.5 GB less than the one of https://pypi.org/simple.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN useradd --create-home lab
WORKDIR /home/lab/app

COPY requirements.txt .
RUN pip install --no-cache-dir "torch>=2.8,<3" --index-url "$TORCH_INDEX" \
    && pip install --no-cache-dir -r requirements.txt

COPY weights weights
COPY app.py .
COPY denoiser denoiser

USER lab
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
HEALTHCHECK --start-period=60s --timeout=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860', timeout=9)"]
CMD ["python", "app.py"]
