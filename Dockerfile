# syntax=docker/dockerfile:1

# The image that `make image` writes, for where there is a container engine:
#   docker build --build-arg VERSION=v1.2.3 .
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v1.2.3 .
# hack/image sets the same; its test compares the two.

ARG GO_IMAGE=docker.io/library/golang:1.26.8

# Go compiles for every platform on the one that builds.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOWORK=off \
    go build -trimpath -buildvcs=false -tags grpcnotrace \
    -ldflags "-s -w -X github.com/platformprofile/platformprofile/internal/version.Version=$VERSION" -o /operator .

# The static program and nothing else: no shell, no package.
FROM scratch
ARG VERSION=devel
ARG REVISION
LABEL org.opencontainers.image.title="PlatformProfile" \
      org.opencontainers.image.description="A Kubernetes operator that keeps saying whether a cluster's platform is what it should be" \
      org.opencontainers.image.source="https://github.com/platformprofile/platformprofile" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build --chmod=0555 /operator /operator
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/operator"]
