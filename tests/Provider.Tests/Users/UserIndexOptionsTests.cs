using Microsoft.Extensions.Options;

namespace RedisSessions.Tests.Users;

/// <summary>What UserIndexOptions may say, to the last that it may and the first that it may not.</summary>
public sealed class UserIndexOptionsTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromTicks(1);

    public static TheoryData<string, Action<UserIndexOptions>> Mistakes => new()
    {
        { nameof(UserIndexOptions.MaxSessionsPerUser), o => o.MaxSessionsPerUser = 0 },
        { nameof(UserIndexOptions.RefreshInterval), o => o.RefreshInterval = TimeSpan.FromSeconds(1) - Tick },
        { nameof(UserIndexOptions.RefreshInterval), o => o.RefreshInterval = TimeSpan.FromHours(1) + Tick },
        { nameof(UserIndexOptions.ActivityRetention), o => o.ActivityRetention = TimeSpan.FromHours(1) - Tick },
        { nameof(UserIndexOptions.ActivityShards), o => o.ActivityShards = 0 },
        { nameof(UserIndexOptions.ActivityShards), o => o.ActivityShards = 1_025 },
        { nameof(UserIndexOptions.PruneInterval), o => o.PruneInterval = -Tick },
        { nameof(UserIndexOptions.DeviceLifetime), o => o.DeviceLifetime = TimeSpan.FromDays(1) - Tick },
        { nameof(UserIndexOptions.DeviceLifetime), o => o.DeviceLifetime = TimeSpan.FromDays(400) + Tick },
        { nameof(UserIndexOptions.MaxDevicesPerUser), o => o.MaxDevicesPerUser = 0 },
        { nameof(UserIndexOptions.MaxDevicesPerUser), o => o.MaxDevicesPerUser = 1_001 },
        { nameof(UserIndexOptions.DeviceCookieName), o => o.DeviceCookieName = " " },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void What_is_out_of_range_is_refused_by_its_name(string name, Action<UserIndexOptions> mistake)
    {
        var refused = Assert.Throws<OptionsValidationException>(() => Read(mistake));
        Assert.StartsWith($"{nameof(UserIndexOptions)}.{name} ", Assert.Single(refused.Failures));
    }

    [Fact]
    public void What_is_just_in_range_is_taken()
    {
        var least = Read(o =>
        {
            (o.MaxSessionsPerUser, o.ActivityShards, o.MaxDevicesPerUser) = (1, 1, 1);
            (o.RefreshInterval, o.ActivityRetention, o.PruneInterval, o.DeviceLifetime) = (TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), TimeSpan.Zero, TimeSpan.FromDays(1));
        });
        Assert.Equal(1, least.MaxSessionsPerUser);
        var most = Read(o => (o.ActivityShards, o.MaxDevicesPerUser, o.RefreshInterval, o.DeviceLifetime) = (1_024, 1_000, TimeSpan.FromHours(1), TimeSpan.FromDays(400)));
        Assert.Equal(1_024, most.ActivityShards);
    }

    private static UserIndexOptions Read(Action<UserIndexOptions> configure)
    {
        var services = new ServiceCollection().AddLogging();
        services.AddRedisSession("localhost:6379").AddUserIndex(configure);
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<UserIndexOptions>>().Value;
    }
}
