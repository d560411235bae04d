using System.Diagnostics;
using System.Diagnostics.Metrics;

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

    public static Measured Begin(string name, Histogram<double> duration)
    {
        Activity? span = null;
        if (SessionMetrics.Activities.HasListeners())
        {
            // The request's span stays the current one: what runs meanwhile is not part of the load.
            var current = Activity.Current;
            span = SessionMetrics.Activities.StartActivity(name, ActivityKind.Client);
            Activity.Current = current;
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
}
