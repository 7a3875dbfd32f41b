#!/bin/sh
# Fetches what is in this folder from npm again, and compares it with SHA256SUMS. For another version, change the line below,
# run this, look at what changed, and write the sums that sha256sum prints into SHA256SUMS.
set -e
DAGRE=3.1.3
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm pack --silent --pack-destination "$folder" "@dagrejs/dagre@$DAGRE" >/dev/null
tar xzf "$folder"/*.tgz -C "$folder"
cp "$folder/package/dist/dagre.min.js" dagre.min.js
cp "$folder/package/LICENSE" LICENSE.dagre
sha256sum --check SHA256SUMS
