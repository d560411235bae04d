using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions;

/// <summary>Says at start-up what is wrong and what to write instead. Never repeats the connection string: it may hold a password.</summary>
internal sealed class RedisSessionOptionsValidator(IServiceProviderIsKeyedService services) : IValidateOptions<RedisSessionOptions>
{
    public ValidateOptionsResult Validate(string? name, RedisSessionOptions options)
    {
        var errors = new List<string>();
        if (string.IsNullOrEmpty(options.KeyPrefix))
        {
            errors.Add("RedisSessionOptions.KeyPrefix is empty. Write a prefix that no other application on this Redis uses, for example \"session:\".");
        }
        else if (options.KeyPrefix.AsSpan().ContainsAny('{', '}'))
        {
            errors.Add("RedisSessionOptions.KeyPrefix contains a brace, which would put every session in one cluster slot. Write it without { and }, for example \"session:\".");
        }

        if (options.AbsoluteTimeout is { } absolute && absolute < TimeSpan.FromMilliseconds(1))
        {
            errors.Add("RedisSessionOptions.AbsoluteTimeout is not positive. Write a positive time span, for example TimeSpan.FromHours(12), or null for no limit.");
        }

        if (options.SlidePrecision < TimeSpan.Zero)
        {
            errors.Add("RedisSessionOptions.SlidePrecision is negative. Write a time span, TimeSpan.Zero to extend the session with every request, or null for a twentieth of the idle timeout.");
        }

        if (options.EndReasonRetention < TimeSpan.Zero || options.EndReasonRetention > TimeSpan.FromDays(3650))
        {
            errors.Add("RedisSessionOptions.EndReasonRetention is out of range. Write a time span of at most ten years, for example TimeSpan.FromDays(1), or TimeSpan.Zero to keep nothing.");
        }

        if (options.WaitForFailover < TimeSpan.Zero || options.WaitForFailover > TimeSpan.FromMinutes(1))
        {
            errors.Add("RedisSessionOptions.WaitForFailover is out of range. Write a time span of at most 1 minute, for example TimeSpan.FromSeconds(5), or TimeSpan.Zero to wait for nothing.");
        }

        if (!Enum.IsDefined(options.CommitFailure))
        {
            errors.Add("RedisSessionOptions.CommitFailure is no value of its enumeration. Write CommitFailure.Throw or CommitFailure.Log.");
        }

        if (options.Exclusive.Wait < TimeSpan.Zero || options.Exclusive.Wait > ExclusiveSessionOptions.LongestWait)
        {
            errors.Add("RedisSessionOptions.Exclusive.Wait is out of range. Write a time span of at most 1 hour, for example TimeSpan.FromSeconds(10), or TimeSpan.Zero to wait for nothing.");
        }

        if (options.Exclusive.Lease < ExclusiveSessionOptions.ShortestLease || options.Exclusive.Lease > ExclusiveSessionOptions.LongestLease)
        {
            errors.Add("RedisSessionOptions.Exclusive.Lease is out of range. Write a time span from 100 milliseconds to 1 hour, for example TimeSpan.FromSeconds(5).");
        }

        if (options.Exclusive.MaxWaiting is < 1 or > ExclusiveSessionOptions.MostWaiting)
        {
            errors.Add("RedisSessionOptions.Exclusive.MaxWaiting is out of range. Write a number from 1 to 10,000, for example 100.");
        }

        if (options.LocalCache.SizeLimit < 0)
        {
            errors.Add("RedisSessionOptions.LocalCache.SizeLimit is negative. Write a number of bytes, or 0 to keep no copies.");
        }

        if (!Enum.IsDefined(options.LocalCache.Mode))
        {
            errors.Add("RedisSessionOptions.LocalCache.Mode is no value of its enumeration. Write LocalCacheMode.Validated, LocalCacheMode.Notifying or LocalCacheMode.Notified.");
        }
        else if (options.LocalCache is { Mode: LocalCacheMode.Notified, SizeLimit: 0 })
        {
            errors.Add("RedisSessionOptions.LocalCache.Mode is Notified, but SizeLimit is 0, so there is no copy to be used. Write a SizeLimit, or LocalCacheMode.Notifying for a server without copies in such a fleet.");
        }

        if (options.LocalCache.MaxLag < TimeSpan.FromMilliseconds(50) || options.LocalCache.MaxLag > TimeSpan.FromMinutes(1))
        {
            errors.Add("RedisSessionOptions.LocalCache.MaxLag is out of range. Write a time span from 50 milliseconds to 1 minute, for example TimeSpan.FromMilliseconds(500).");
        }

        ValidateReplicas(options, "Commits", options.WaitForReplicas.Commits, errors);
        ValidateReplicas(options, "SignIns", options.WaitForReplicas.SignIns, errors);
        ValidateReplicas(options, "Revocations", options.WaitForReplicas.Revocations, errors);
        ValidateConnection(options, errors);
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }

    private static void ValidateReplicas(RedisSessionOptions options, string kind, ReplicaWaitOptions wait, List<string> errors)
    {
        var name = $"RedisSessionOptions.WaitForReplicas.{kind}";
        if (wait.Replicas is < 0 or > 100)
        {
            errors.Add($"{name}.Replicas is out of range. Write a number of replicas from 1 to 100, or 0 to wait for none.");
        }

        if (wait.Timeout < TimeSpan.FromMilliseconds(1) || wait.Timeout > ReplicaWaitOptions.Longest)
        {
            errors.Add($"{name}.Timeout is out of range. Write a time span from 1 millisecond to 30 seconds, for example TimeSpan.FromMilliseconds(500).");
        }

        if (wait.IsOn && (options.ConnectionMultiplexerFactory is not null || (options.Configuration is null && options.ConfigurationOptions is null)))
        {
            errors.Add($"{name} is on, which needs a connection of its own, and only one that this library makes can be made twice. Write AddRedisSession(\"host:port\"), ConnectionName or ConfigurationOptions in place of a connection of yours.");
        }
    }

    private void ValidateConnection(RedisSessionOptions options, List<string> errors)
    {
        if (options.ConnectionName is not null && options.Configuration is null && options.ConfigurationOptions is null && options.ConnectionMultiplexerFactory is null)
        {
            errors.Add($"RedisSessionOptions.ConnectionName is \"{options.ConnectionName}\", and the configuration has no such connection string. Write it as ConnectionStrings:{options.ConnectionName}, for example by the environment variable ConnectionStrings__{options.ConnectionName}.");
            return;
        }

        if (options.ConnectionMultiplexerFactory is not null)
        {
            return;
        }

        if (options.ConfigurationOptions is { } settings)
        {
            if (settings.EndPoints.Count == 0)
            {
                errors.Add("RedisSessionOptions.ConfigurationOptions has no endpoint. Add one, for example EndPoints.Add(\"localhost\", 6379).");
            }
        }
        else if (options.Configuration is not null)
        {
            if (!RedisConnectionSettings.TryParse(options.Configuration, out _))
            {
                errors.Add("RedisSessionOptions.Configuration is not a connection string of StackExchange.Redis. Write host:port and then its options, for example \"localhost:6379,password=...,ssl=true\".");
            }
        }
        else if (options.ServiceKey is { } key)
        {
            if (!services.IsKeyedService(typeof(IConnectionMultiplexer), key))
            {
                errors.Add($"RedisSessionOptions.ServiceKey is \"{key}\", and the container has no IConnectionMultiplexer with that key. Write, for example, AddKeyedRedisClient(\"{key}\") of Aspire.StackExchange.Redis.");
            }
        }
        else if (!services.IsService(typeof(IConnectionMultiplexer)))
        {
            errors.Add("No Redis connection is configured. Write AddRedisSession(\"localhost:6379\"), set RedisSession:Configuration, set RedisSessionOptions.ConnectionName, set RedisSessionOptions.ConnectionMultiplexerFactory, or register an IConnectionMultiplexer in the container.");
        }
    }
}
