package errs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"connectrpc.com/connect"
)

// NewInterceptor returns the interceptor that translates every error of a handler by [ToConnect], for unary calls and
// streams. Internal errors are logged with their procedure and full cause; a panic becomes an internal error, logged
// with its stack, and ends nothing but its own call. On clients it does nothing.
//
// It must stand outside of every interceptor that can refuse a call.
func NewInterceptor(logger *slog.Logger) connect.Interceptor {
	return &interceptor{logger: logger}
}

type interceptor struct {
	logger *slog.Logger
}

// WrapUnary implements connect.Interceptor.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		if req.Spec().IsClient {
			return next(ctx, req)
		}
		defer func() {
			if cause := recover(); cause != nil {
				res, err = nil, i.panicked(ctx, req.Spec(), cause)
			}
		}()
		res, err = next(ctx, req)
		if err != nil {
			return nil, i.translate(ctx, req.Spec(), err)
		}
		return res, nil
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer func() {
			if cause := recover(); cause != nil {
				err = i.panicked(ctx, conn.Spec(), cause)
			}
		}()
		if err := next(ctx, conn); err != nil {
			return i.translate(ctx, conn.Spec(), err)
		}
		return nil
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i *interceptor) translate(ctx context.Context, spec connect.Spec, err error) error {
	out := ToConnect(err)
	switch out.Code() {
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
		i.logger.LogAttrs(ctx, slog.LevelError, "call failed",
			slog.String("procedure", spec.Procedure), slog.String("cause", err.Error()))
	case connect.CodeUnavailable:
		i.logger.LogAttrs(ctx, slog.LevelWarn, "call could not be served",
			slog.String("procedure", spec.Procedure), slog.String("cause", err.Error()))
	default:
		i.logger.LogAttrs(ctx, slog.LevelDebug, "call refused", slog.String("procedure", spec.Procedure),
			slog.String("code", out.Code().String()), slog.String("cause", err.Error()))
	}
	return out
}

func (i *interceptor) panicked(ctx context.Context, spec connect.Spec, cause any) error {
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it by identity
		panic(cause) // net/http's own way to cut a response; it is not an error of ours
	}
	i.logger.LogAttrs(ctx, slog.LevelError, "call panicked", slog.String("procedure", spec.Procedure),
		slog.String("cause", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
	return internal().connect()
}
