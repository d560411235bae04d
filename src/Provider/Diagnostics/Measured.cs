using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Diagnostics;

/// <summary>One load or commit under way: a span and a duration, where anybody listens; else nothing.</summary>
internal readonly struct Measured
{
    private readonly Activity? _span;
    private readonly long _began;

    private Measured(Activity? span, long began)
    {
        _span = span;
        _began = began;
    }

    /// <param name="name">The span's name.</param>
    /// <param name="duration">Where the duration is recorded.</param>
    /// <param name="operation">The command that is sent.</param>
    /// <param name="connection">Over which it is sent.</param>
    public static Measured Begin(string name, Histogram<double> duration, string operation, RedisConnection connection)
    {
        Activity? span = null;
        if (SessionMetrics.Activities.HasListeners())
        {
            // The request's span stays the current one: what runs meanwhile is not part of the load.
            var current = Activity.Current;
            span = SessionMetrics.Activities.StartActivity(name, ActivityKind.Client);
            Activity.Current = current;
            if (span is { IsAllDataRequested: true })
            {
                Describe(span, operation, connection.Server);
            }
        }

        return new Measured(span, duration.Enabled ? Stopwatch.GetTimestamp() : 0);
    }

    public void End(Histogram<double> duration, Exception? failure = null)
    {
        if (_span is { } span)
        {
            if (failure is not null)
            {
                span.SetStatus(ActivityStatusCode.Error);
                span.SetTag("error.type", failure.GetType().FullName);
                if (failure is RedisServerException refused)
                {
                    span.SetTag("db.response.status_code", refused.Message.Split(' ', 2)[0]);
                }
            }

            var current = Activity.Current;
            span.Dispose();
            Activity.Current = current;
        }

        if (_began != 0)
        {
            duration.Record(Stopwatch.GetElapsedTime(_began).TotalSeconds);
        }
    }

    /// <summary>OpenTelemetry's semantic conventions for Redis. Nothing of the session: its id and its fields are the user's.</summary>
    private static void Describe(Activity span, string operation, EndPoint? server)
    {
        span.SetTag("db.system.name", "redis");
        span.SetTag("db.operation.name", operation);
        var (address, port) = server switch
        {
            DnsEndPoint { Host: var host, Port: var number } => (host, number),
            IPEndPoint { Address: var ip, Port: var number } => (ip.ToString(), number),
            _ => (null, 0),
        };
        if (address is not null)
        {
            span.SetTag("server.address", address);
            span.SetTag("server.port", port);
        }
    }
}
