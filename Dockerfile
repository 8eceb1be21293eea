# Everything in here happens through make, as in a checkout.  Build:   docker build -t noise-search-lab .
#
# Run it for this machine alone (the lab listens at all of the container's addresses, and asks no password because it is
# told that it is published to 127.0.0.1 only; it then answers to no other name):
#   docker run --rm --init -p 127.0.0.1:7860:7860 -v lab:/data -e LAB_BEHIND_LOOPBACK=1 noise-search-lab
# Run it for others, who are asked for a password:
#   docker run --rm --init -p 7860:7860 -v lab:/data -v ./password:/password:ro -e LAB_PASSWORD_FILE=/password noise-search-lab
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /lab
COPY Makefile requirements.txt ./
RUN make install

COPY LICENSE ./
COPY core core
COPY storage storage
COPY app app
COPY assets assets

RUN useradd --create-home lab && mkdir /data && chown lab /data
USER lab
ENV LAB_DATA_DIR=/data HF_HOME=/data/huggingface HOST=0.0.0.0 PORT=7860 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["make", "--silent", "health"]
CMD ["make", "--silent", "run"]
