using System.Collections.Concurrent;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Identity;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>ASP.NET Core Identity: its own cookies, its security stamp, its external sign-in; only the users are in memory.</summary>
internal static class IdentitySite
{
    public const string AuthCookie = ".AspNetCore.Identity.Application";

    public static void AddServices(IServiceCollection services)
    {
        services.AddAuthentication(IdentityConstants.ApplicationScheme).AddIdentityCookies();
        services.AddAuthorization();
        services.AddSingleton<MemberStore.Table>();
        services.AddIdentityCore<Member>().AddSignInManager().AddUserStore<MemberStore>();

        // Asked on every request, so that a test need not wait for the interval.
        services.Configure<SecurityStampValidatorOptions>(o => o.ValidationInterval = TimeSpan.Zero);
    }

    public static void Map(WebApplication app)
    {
        Infrastructure.Pages.Map(app);
        app.MapGet("/register/{user}", async (UserManager<Member> users, string user) =>
            Assert.True((await users.CreateAsync(new Member { Id = $"id-of-{user}", UserName = user }, "Passw0rd!")).Succeeded));
        app.MapGet("/login/{user}", async (HttpContext context, SignInManager<Member> signIn, string user) =>
        {
            Assert.True((await signIn.PasswordSignInAsync(user, "Passw0rd!", isPersistent: false, lockoutOnFailure: false)).Succeeded);
            return context.Session.Id;
        });
        app.MapGet("/logout", (SignInManager<Member> signIn) => signIn.SignOutAsync());
        app.MapGet("/whoami", (HttpContext context) => context.User.Identity?.Name ?? "");
        app.MapGet("/owner", (HttpContext context) => context.Session.GetUserId() ?? "");
        app.MapGet("/transfer", [RequireRecentSignIn(5)] () => "sent");
        app.MapGet("/refresh", async (HttpContext context, UserManager<Member> users, SignInManager<Member> signIn) =>
            await signIn.RefreshSignInAsync((await users.GetUserAsync(context.User))!));

        // A change of password as the Identity UI does it: a new stamp, and this browser's ticket is written with it.
        app.MapGet("/password", async (HttpContext context, UserManager<Member> users, SignInManager<Member> signIn) =>
        {
            var member = (await users.GetUserAsync(context.User))!;
            await users.UpdateSecurityStampAsync(member);
            await signIn.RefreshSignInAsync(member);
        });
        app.MapGet("/external/{user}", (HttpContext context, string user) => context.SignInAsync(
            IdentityConstants.ExternalScheme,
            SignInSite.PrincipalOf($"key-of-{user}"),
            new AuthenticationProperties { Items = { ["LoginProvider"] = "Provider" } }));
        app.MapGet("/external/callback/{user}", async (HttpContext context, UserManager<Member> users, SignInManager<Member> signIn, string user) =>
        {
            var info = (await signIn.GetExternalLoginInfoAsync())!;
            var member = (await users.FindByNameAsync(user))!;
            await users.AddLoginAsync(member, info);
            Assert.True((await signIn.ExternalLoginSignInAsync(info.LoginProvider, info.ProviderKey, isPersistent: false, bypassTwoFactor: true)).Succeeded);
            await context.SignOutAsync(IdentityConstants.ExternalScheme);
        });
    }

    internal sealed class Member
    {
        public string Id { get; set; } = "";

        public string? UserName { get; set; }

        public string? NormalizedName { get; set; }

        public string? PasswordHash { get; set; }

        public string? Stamp { get; set; }

        public ConcurrentDictionary<(string Provider, string Key), string?> Logins { get; } = new();
    }

    /// <summary>Registered by AddUserStore, and so made for every request: what it holds is the site's.</summary>
    internal sealed class MemberStore(MemberStore.Table table) : IUserPasswordStore<Member>, IUserSecurityStampStore<Member>, IUserLoginStore<Member>
    {
        public Task<IdentityResult> CreateAsync(Member user, CancellationToken cancellationToken)
        {
            table.Members[user.Id] = user;
            return Task.FromResult(IdentityResult.Success);
        }

        public Task<IdentityResult> UpdateAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(IdentityResult.Success);

        public Task<IdentityResult> DeleteAsync(Member user, CancellationToken cancellationToken)
        {
            table.Members.TryRemove(user.Id, out _);
            return Task.FromResult(IdentityResult.Success);
        }

        public Task<Member?> FindByIdAsync(string userId, CancellationToken cancellationToken) => Task.FromResult(table.Members.GetValueOrDefault(userId));

        public Task<Member?> FindByNameAsync(string normalizedUserName, CancellationToken cancellationToken) =>
            Task.FromResult(table.Members.Values.FirstOrDefault(member => member.NormalizedName == normalizedUserName));

        public Task<string> GetUserIdAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(user.Id);

        public Task<string?> GetUserNameAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(user.UserName);

        public Task SetUserNameAsync(Member user, string? userName, CancellationToken cancellationToken)
        {
            user.UserName = userName;
            return Task.CompletedTask;
        }

        public Task<string?> GetNormalizedUserNameAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(user.NormalizedName);

        public Task SetNormalizedUserNameAsync(Member user, string? normalizedName, CancellationToken cancellationToken)
        {
            user.NormalizedName = normalizedName;
            return Task.CompletedTask;
        }

        public Task<string?> GetPasswordHashAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash);

        public Task<bool> HasPasswordAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash is not null);

        public Task SetPasswordHashAsync(Member user, string? passwordHash, CancellationToken cancellationToken)
        {
            user.PasswordHash = passwordHash;
            return Task.CompletedTask;
        }

        public Task<string?> GetSecurityStampAsync(Member user, CancellationToken cancellationToken) => Task.FromResult(user.Stamp);

        public Task SetSecurityStampAsync(Member user, string stamp, CancellationToken cancellationToken)
        {
            user.Stamp = stamp;
            return Task.CompletedTask;
        }

        public Task AddLoginAsync(Member user, UserLoginInfo login, CancellationToken cancellationToken)
        {
            user.Logins[(login.LoginProvider, login.ProviderKey)] = login.ProviderDisplayName;
            return Task.CompletedTask;
        }

        public Task RemoveLoginAsync(Member user, string loginProvider, string providerKey, CancellationToken cancellationToken)
        {
            user.Logins.TryRemove((loginProvider, providerKey), out _);
            return Task.CompletedTask;
        }

        public Task<IList<UserLoginInfo>> GetLoginsAsync(Member user, CancellationToken cancellationToken) =>
            Task.FromResult<IList<UserLoginInfo>>([.. user.Logins.Select(login => new UserLoginInfo(login.Key.Provider, login.Key.Key, login.Value))]);

        public Task<Member?> FindByLoginAsync(string loginProvider, string providerKey, CancellationToken cancellationToken) =>
            Task.FromResult(table.Members.Values.FirstOrDefault(member => member.Logins.ContainsKey((loginProvider, providerKey))));

        public void Dispose()
        {
        }

        internal sealed class Table
        {
            public ConcurrentDictionary<string, Member> Members { get; } = new();
        }
    }
}
