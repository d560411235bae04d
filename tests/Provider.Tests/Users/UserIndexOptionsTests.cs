using System.Security.Claims;
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

    [Fact]
    public void The_defaults_are_what_their_documentation_says()
    {
        var options = new UserIndexOptions();
        Assert.Equal((null, SessionLimitBehavior.EvictOldest, true, SignInWithoutRedis.Keep), (options.MaxSessionsPerUser, options.LimitBehavior, options.EndSignInWithSession, options.WithoutRedis));
        Assert.Equal((50, 16, false), (options.MaxDevicesPerUser, options.ActivityShards, options.RememberDevices));
        Assert.Equal((TimeSpan.FromDays(30), TimeSpan.FromMinutes(10)), (options.ActivityRetention, options.PruneInterval));
    }

    /// <summary>No two users have one id, and nobody has an empty one.</summary>
    [Fact]
    public void A_users_id_is_the_claim_that_the_options_name_qualified_by_its_issuer_if_they_say_so()
    {
        var plain = new UserIndexOptions();
        Assert.Equal("7", IdOf(plain, "7"));
        Assert.Null(IdOf(plain, ""));
        Assert.Null(IdOf(plain, null));
        Assert.Null(IdOf(new UserIndexOptions { UserIdOf = _ => "" }, "7"));
        Assert.Equal("eve", IdOf(new UserIndexOptions { UserIdOf = _ => "eve" }, "7"));

        // The claim that is named counts, and no other.
        Assert.Equal("a@b.example", IdOf(new UserIndexOptions { UserIdClaimType = ClaimTypes.Email }, "7", new Claim(ClaimTypes.Email, "a@b.example")));
        Assert.Null(IdOf(new UserIndexOptions { UserIdClaimType = ClaimTypes.Email }, "7"));
        var qualified = new UserIndexOptions { QualifyByIssuer = true };
        Assert.Equal(["idp|7", "idp|8", "id%7Cp|8"], [IdOf(qualified, "7"), IdOf(qualified, "8"), IdOf(qualified, "8", issuer: "id|p")]);
        Assert.Null(IdOf(qualified, ""));
        Assert.Null(IdOf(qualified, null));
    }

    private static string? IdOf(UserIndexOptions options, string? id, Claim? another = null, string issuer = "idp")
    {
        var identity = new ClaimsIdentity("test");
        if (id is not null)
        {
            identity.AddClaim(new Claim(ClaimTypes.NameIdentifier, id, null, issuer));
        }

        if (another is not null)
        {
            identity.AddClaim(another);
        }

        return options.GetUserId(new ClaimsPrincipal(identity));
    }

    private static UserIndexOptions Read(Action<UserIndexOptions> configure)
    {
        var services = new ServiceCollection().AddLogging();
        services.AddRedisSession("localhost:6379").AddUserIndex(configure);
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<UserIndexOptions>>().Value;
    }
}
