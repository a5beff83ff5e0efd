#!/bin/sh
# Makes the key pair of the TLS server that tests start. It is trusted by nobody but the tests that say so.
set -eu
cd "$(dirname "$0")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -sha256 \
    -subj "/CN=pictures.test" -addext "subjectAltName=DNS:pictures.test" \
    -keyout key.pem -out certificate.pem
