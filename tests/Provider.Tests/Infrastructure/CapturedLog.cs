using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Everything that an application logged, at every level.</summary>
public sealed class CapturedLog : ILoggerProvider
{
    private readonly ConcurrentQueue<Entry> _entries = new();

    public IReadOnlyList<Entry> Entries => [.. _entries];

    /// <summary>What this library logged.</summary>
    public IReadOnlyList<Entry> Ours => [.. _entries.Where(entry => entry.Category.StartsWith("RedisSessions", StringComparison.Ordinal))];

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Clear() => _entries.Clear();

    public void Dispose()
    {
    }

    public sealed record Entry(string Category, LogLevel Level, EventId Id, string Message, Exception? Exception)
    {
        public override string ToString() => $"{Level} {Category} {Id} {Message} {Exception}";
    }

    private sealed class Logger(CapturedLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var entry = new Entry(category, logLevel, eventId, formatter(state, exception), exception);
            log._entries.Enqueue(entry);
            if (category != typeof(Microsoft.AspNetCore.Session.DistributedSession).FullName)
            {
                // Microsoft's session, which some tests compare ours with, logs the secret key.
                NoSecretInAnyLog.AddLine(entry.ToString());
            }
        }
    }
}
