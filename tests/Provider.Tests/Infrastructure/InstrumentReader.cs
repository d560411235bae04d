using System.Diagnostics.Metrics;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>What an instrument of one application says, whichever others run in this process.</summary>
public sealed class InstrumentReader : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Dictionary<string, long> _values = [];
    private bool _isObservable;

    public InstrumentReader(IServiceProvider services, string name)
    {
        var factory = services.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == name && ReferenceEquals(instrument.Meter.Scope, factory))
            {
                _isObservable = instrument.IsObservable;
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>(Take);
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, state) => Take(instrument, value, tags, state));
        _listener.Start();
    }

    private void Take(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        var tag = string.Join(' ', tags.ToArray().Select(pair => pair.Value));
        lock (_values)
        {
            _values[tag] = _isObservable ? value : _values.GetValueOrDefault(tag) + value;
        }
    }

    /// <summary>The sum of a counter, or what a gauge says now, of one tag; null before there is any.</summary>
    public long? Read(string tag = "")
    {
        _listener.RecordObservableInstruments();
        lock (_values)
        {
            return _values.TryGetValue(tag, out var value) ? value : null;
        }
    }

    public void Dispose() => _listener.Dispose();
}
