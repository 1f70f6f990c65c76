#!/bin/sh
# Installs Azurite, the emulator of Azure Blob Storage, below the folder that it is given. It needs
# Node.js 20 or newer. What is there for people alone, types and maps of the sources, is left out:
# it is more than half of 360 MB.
set -eu
version=3.37.0
folder=$1

if [ "$(cat "$folder/installed.txt" 2>/dev/null)" = "$version" ]; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "npm is missing: install Node.js 20 or newer, see https://nodejs.org" >&2
    exit 1
fi
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-save --no-package-lock \
    --omit=dev --omit=optional --no-audit --no-fund --loglevel=error "azurite@$version"
find "$folder" -type f \( -name '*.map' -o -name '*.ts' \) -delete
echo "$version" >"$folder/installed.txt"
