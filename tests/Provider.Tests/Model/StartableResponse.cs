using Microsoft.AspNetCore.Http.Features;

namespace RedisSessions.Tests.Model;

/// <summary>A response that starts as Kestrel's does: the callbacks run last in, first out, also those that callbacks register.</summary>
internal sealed class StartableResponse : IHttpResponseFeature
{
    private readonly Stack<(Func<object, Task> Callback, object State)> _starting = new();
    private readonly Stack<(Func<object, Task> Callback, object State)> _completed = new();

    public int StatusCode { get; set; } = StatusCodes.Status200OK;

    public string? ReasonPhrase { get; set; }

    public IHeaderDictionary Headers { get; set; } = new HeaderDictionary();

    public Stream Body { get; set; } = Stream.Null;

    public bool HasStarted { get; private set; }

    public void OnStarting(Func<object, Task> callback, object state)
    {
        if (HasStarted)
        {
            throw new InvalidOperationException("OnStarting cannot be set because the response has already started.");
        }

        _starting.Push((callback, state));
    }

    public void OnCompleted(Func<object, Task> callback, object state) => _completed.Push((callback, state));

    /// <returns>What a callback threw: the response is then an error without the headers set so far.</returns>
    public async Task<Exception?> StartAsync()
    {
        Exception? failure = null;
        while (_starting.TryPop(out var entry))
        {
            try
            {
                await entry.Callback(entry.State);
            }
            catch (Exception exception)
            {
                failure = exception;
                Headers.Clear();
                StatusCode = StatusCodes.Status500InternalServerError;
            }
        }

        HasStarted = true;
        return failure;
    }

    public async Task CompleteAsync()
    {
        while (_completed.TryPop(out var entry))
        {
            await entry.Callback(entry.State);
        }
    }
}
