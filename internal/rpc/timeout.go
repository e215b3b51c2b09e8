package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
)

// timeoutInterceptor gives unary calls a deadline when nobody set one, on handlers and clients. Streams live as long as
// both sides want.
func timeoutInterceptor(timeout time.Duration) connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if _, ok := ctx.Deadline(); ok {
				return next(ctx, req)
			}
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			return next(ctx, req)
		}
	})
}
