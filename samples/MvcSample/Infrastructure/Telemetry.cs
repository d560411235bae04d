using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace MvcSample.Infrastructure;

public static class Telemetry
{
    /// <summary>With <c>Telemetry=console</c>: the library's metrics and spans on the console. Another exporter is another line here.</summary>
    public static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        if (builder.Configuration["Telemetry"] == "console")
        {
            builder.Services.AddOpenTelemetry()
                .WithMetrics(metrics => metrics.AddMeter("RedisSessions").AddConsoleExporter())
                .WithTracing(traces => traces
                    .AddSource("Microsoft.AspNetCore") // The request: what happens within one that is not recorded is not recorded either.
                    .AddSource("RedisSessions")
                    .AddConsoleExporter());
        }
    }
}
