#!/bin/bash
set -euo pipefail
echo "set up" >/opt/told
