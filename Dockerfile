# A static binary and nothing else. Build it for the platform that BuildKit asks for:
#   docker build -t ghcr.io/platformprofile/platformprofile .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY api api
COPY config/crd config/crd
COPY controllers controllers
COPY internal internal
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X github.com/platformprofile/platformprofile/internal/cli.Version=$VERSION" -o /platformprofile .

FROM gcr.io/distroless/static:nonroot
COPY --from=build /platformprofile /platformprofile
USER 65532:65532
ENTRYPOINT ["/platformprofile"]
