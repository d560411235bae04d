using Microsoft.Extensions.Options;

namespace RedisSessions.Lifecycle;

internal sealed class SessionLifecycleOptionsValidator(IEnumerable<LifecycleRegistration> registrations) : IValidateOptions<SessionLifecycleOptions>
{
    public ValidateOptionsResult Validate(string? name, SessionLifecycleOptions options)
    {
        var errors = new List<string>();
        var types = registrations.Select(static registration => registration.Type.Name).ToArray();
        if (types.Length > 1)
        {
            errors.Add(
                $"AddLifecycle was called {types.Length} times, for {string.Join(", ", types)}, and each end is told once. "
                + "Write AddLifecycle<T>() once, with a T that does all of it.");
        }

        if (options.Lease < TimeSpan.FromSeconds(1) || options.Lease > TimeSpan.FromHours(1))
        {
            errors.Add("SessionLifecycleOptions.Lease is out of range. Write a time span between one second and one hour, for example TimeSpan.FromMinutes(1).");
        }

        if (options.LookInterval < TimeSpan.FromMilliseconds(100) || options.LookInterval > TimeSpan.FromMinutes(10))
        {
            errors.Add("SessionLifecycleOptions.LookInterval is out of range. Write a time span between 100 milliseconds and ten minutes, for example TimeSpan.FromSeconds(5).");
        }

        if (options.MaxRetryDelay < TimeSpan.FromMilliseconds(100) || options.MaxRetryDelay > TimeSpan.FromDays(1))
        {
            errors.Add("SessionLifecycleOptions.MaxRetryDelay is out of range. Write a time span between 100 milliseconds and one day, for example TimeSpan.FromMinutes(10).");
        }
        else if (options.RetryDelay < TimeSpan.FromMilliseconds(100) || options.RetryDelay > options.MaxRetryDelay)
        {
            errors.Add("SessionLifecycleOptions.RetryDelay is out of range. Write a time span between 100 milliseconds and MaxRetryDelay, for example TimeSpan.FromSeconds(5).");
        }

        if (options.Retention < TimeSpan.FromHours(1) || options.Retention > TimeSpan.FromDays(400))
        {
            errors.Add("SessionLifecycleOptions.Retention is out of range. Write a time span between one hour and 400 days, for example TimeSpan.FromDays(7).");
        }

        if (options.Fields.Any(string.IsNullOrEmpty))
        {
            errors.Add("SessionLifecycleOptions.Fields has an empty name. Write the keys of session values, for example \"refresh_token_id\".");
        }

        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}

/// <summary>What AddLifecycle was called for.</summary>
internal sealed record LifecycleRegistration(Type Type);
