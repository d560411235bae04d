using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace RedisSessions.Tests.Lifecycle;

/// <summary>Mistakes are found at start-up.</summary>
public sealed class LifecycleOptionsTests
{
    public static TheoryData<string, Action<SessionLifecycleOptions>> Mistakes => new()
    {
        { "SessionLifecycleOptions.Lease", o => o.Lease = TimeSpan.Zero },
        { "SessionLifecycleOptions.Lease", o => o.Lease = TimeSpan.FromHours(2) },
        { "SessionLifecycleOptions.LookInterval", o => o.LookInterval = TimeSpan.FromMilliseconds(99) },
        { "SessionLifecycleOptions.LookInterval", o => o.LookInterval = TimeSpan.FromMinutes(11) },
        { "SessionLifecycleOptions.RetryDelay", o => o.RetryDelay = TimeSpan.Zero },
        { "SessionLifecycleOptions.RetryDelay", o => (o.RetryDelay, o.MaxRetryDelay) = (TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(4)) },
        { "SessionLifecycleOptions.MaxRetryDelay", o => o.MaxRetryDelay = TimeSpan.FromDays(2) },
        { "SessionLifecycleOptions.Retention", o => o.Retention = TimeSpan.FromMinutes(59) },
        { "SessionLifecycleOptions.Retention", o => o.Retention = TimeSpan.FromDays(401) },
        { "SessionLifecycleOptions.Fields", o => o.Fields.Add("") },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_mistake_fails_at_start_up_with_a_sentence_that_says_what_to_write(string option, Action<SessionLifecycleOptions> mistake)
    {
        var exception = await StartAsync(builder => builder.AddLifecycle<DiaryLifecycle>(mistake));
        var failure = Assert.Single(exception.Failures);
        Assert.StartsWith(option, failure, StringComparison.Ordinal);
        Assert.Contains("Write", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_lifecycle_is_refused()
    {
        var exception = await StartAsync(builder => builder.AddLifecycle<DiaryLifecycle>().AddLifecycle<OtherLifecycle>());
        Assert.Contains("AddLifecycle was called 2 times, for DiaryLifecycle, OtherLifecycle", Assert.Single(exception.Failures), StringComparison.Ordinal);
    }

    private static async Task<OptionsValidationException> StartAsync(Action<RedisSessionBuilder> add)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(new Diary());
        add(builder.Services.AddRedisSession("127.0.0.1:1,abortConnect=false"));
        await using var app = builder.Build();
        return await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync());
    }

    private sealed class OtherLifecycle : ISessionLifecycle
    {
        public Task EndedAsync(SessionEndReason reason, string? userId, EndedSessionMetadata metadata, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
