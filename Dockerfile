# One image for the web service, the workers and beat.
FROM node:24-slim AS frontend
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
RUN npm run build

FROM python:3.12-slim
# A gpu worker compiles its network, and torch's compiler needs one for C.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY classifier ./classifier
COPY esocs ./esocs
RUN pip install --constraint constraints.txt .
COPY manage.py ./
COPY scripts/messages.py ./scripts/
RUN python scripts/messages.py compile
COPY frontend/templates ./frontend/templates
COPY --from=frontend /build/frontend/dist ./frontend/dist
# The packages beside manage.py are the ones that run: templates and the built front end are found from there.
RUN pip uninstall --yes esocs \
 && useradd --system --create-home --home-dir /var/lib/esocs esocs \
 && chown esocs /var/lib/esocs
USER esocs
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "esocs.config.wsgi:application"]
