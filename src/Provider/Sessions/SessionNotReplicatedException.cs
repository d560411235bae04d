using System.Globalization;

namespace RedisSessions;

/// <summary>
/// What was to be changed is changed, and Redis has acknowledged it; but not as many replicas as <see cref="RedisSessionOptions.WaitForReplicas"/> asks for had it in time. It is not undone, and usually reaches
/// them a little later; it is lost where the master dies before.
/// </summary>
public sealed class SessionNotReplicatedException : Exception
{
    internal SessionNotReplicatedException(string what, int wanted, int replicas, TimeSpan timeout, Exception? failure)
        : base(
            string.Create(
                CultureInfo.InvariantCulture,
                $"The {what} was made, but within {timeout.TotalMilliseconds:0} ms {(failure is null ? $"{replicas} of {wanted} replicas had it" : "it was not found out whether replicas have it")}. It is not undone."),
            failure)
    {
        (Wanted, Replicas) = (wanted, replicas);
    }

    /// <summary>How many replicas were to have it.</summary>
    public int Wanted { get; }

    /// <summary>How many had it in time, as far as is known.</summary>
    public int Replicas { get; }
}
