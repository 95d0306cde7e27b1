#!/bin/sh
# Makes the files of the Secret, each a random string, and leaves those that are there as they are.
set -eu
cd "$(dirname "$0")/base"
mkdir -p secrets
umask 077
for name in password cluster-secret admin-token; do
  if [ ! -s "secrets/$name" ]; then
    openssl rand -hex 32 | tr -d '\n' > "secrets/$name"
    echo "made $PWD/secrets/$name"
  fi
done
