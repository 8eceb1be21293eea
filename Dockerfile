FROM python:3.11-slim

WORKDIR /lab
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

COPY app app
COPY assets assets
COPY core core
COPY storage storage

RUN useradd --create-home lab && mkdir /data && chown lab /data
USER lab
ENV LAB_DATA_DIR=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860

# Published to the host's own 127.0.0.1 only, unless whoever runs it decides otherwise:
#   docker build -t noise-search-lab . && docker run --rm -p 127.0.0.1:7860:7860 -v lab:/data noise-search-lab
CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "7860"]
