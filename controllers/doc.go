// Package controllers keeps the status of both kinds up to date: when to evaluate, how the status is written, which
// events and metrics are shown. What is decided, the packages below internal decide.
package controllers
