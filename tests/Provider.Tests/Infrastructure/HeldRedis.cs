namespace RedisSessions.Tests.Infrastructure;

/// <summary>A way to Redis that a test stops for a while, or for good.</summary>
public sealed class HeldRedis : IDisposable
{
    private readonly RedisProxy _proxy;
    private TaskCompletionSource _mayGo = new();
    private bool _disposed;

    public HeldRedis(string address) => _proxy = new RedisProxy(address);

    public string Address => _proxy.Address;

    /// <summary>From now on commands wait, and what waited before goes on; the task ends when the first one does.</summary>
    public Task HoldAsync(Func<string, bool>? which = null)
    {
        var before = _mayGo;
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var mayGo = _mayGo = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _proxy.BeforeCommand = async command =>
        {
            if (which?.Invoke(command) is null or true)
            {
                reached.TrySetResult();
                await mayGo.Task;
            }
        };
        before.TrySetResult();
        return reached.Task;
    }

    /// <summary>What waits goes on, and nothing waits any more.</summary>
    public void Release()
    {
        _proxy.BeforeCommand = null;
        _mayGo.TrySetResult();
    }

    /// <summary>Redis is away. May be called again.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Release();
            _proxy.Dispose();
        }
    }
}
