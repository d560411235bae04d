using System.Net;
using Microsoft.Extensions.Logging;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// In place of tests that could not fail: each of these does with the mutation that passed before. The encrypted field's name is in
/// <see cref="StoredMetadataTests"/>, the robot in <see cref="CreationLimitTests"/>.
/// </summary>
public sealed class ReplacedTests(InProcessGarnet server) : AttackTest(server)
{
    private const int SecretBits = 128;

    /// <summary>Two browsers whose secrets differ anywhere have two sessions.</summary>
    [Fact]
    public async Task A_sessions_id_follows_from_its_whole_secret()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var ids = new HashSet<string> { Open(site, secret).Id };
        for (var place = 0; place < secret.Length; place++)
        {
            ids.Add(Open(site, $"{secret[..place]}{(secret[place] == '0' ? '1' : '0')}{secret[(place + 1)..]}").Id);
        }

        Assert.Equal(1 + secret.Length, ids.Count);
    }

    /// <summary>
    /// Fewer random bits show as collisions, as bits that do not change, or as bits that are sums of others: over 4,096 secrets the
    /// first finds up to about 22 bits however they are spread, the others find any number that is copied or repeated.
    /// </summary>
    [Fact]
    public async Task A_secret_has_128_random_bits()
    {
        const int Secrets = 4_096;
        var site = await StartAsync();
        var secrets = new HashSet<UInt128>();
        for (var i = 0; i < Secrets; i++)
        {
            secrets.Add(UInt128.Parse((await site.Sessions.CreateAsync()).SecretKey.Replace("-", "", StringComparison.Ordinal), System.Globalization.NumberStyles.HexNumber, null));
        }

        Assert.Equal(Secrets, secrets.Count);
        for (var bit = 0; bit < SecretBits; bit++)
        {
            // Half of them, within twelve standard deviations.
            Assert.InRange(secrets.Count(secret => ((secret >> bit) & 1) == 1), 0.4 * Secrets, 0.6 * Secrets);
        }

        Assert.Equal(SecretBits, Rank(secrets));

        // Gauss over single bits: how many of them are independent.
        static int Rank(IEnumerable<UInt128> rows)
        {
            var basis = new UInt128[SecretBits];
            var rank = 0;
            foreach (var row in rows)
            {
                var rest = row;
                for (var bit = SecretBits - 1; bit >= 0 && rest != 0; bit--)
                {
                    if (((rest >> bit) & 1) == 0)
                    {
                        continue;
                    }

                    if (basis[bit] == 0)
                    {
                        basis[bit] = rest;
                        rank++;
                        break;
                    }

                    rest ^= basis[bit];
                }
            }

            return rank;
        }
    }

    /// <summary>The ticket of one user beside the live session of another, which is bound, only not to the ticket's user.</summary>
    [Fact]
    public async Task A_ticket_is_worth_nothing_beside_the_session_of_another_user()
    {
        var site = await StartAttackedAsync();
        var (ada, grace) = (site.NewBrowser(), site.NewBrowser());
        await ada.GetAsync("/login/ada");
        await grace.GetAsync("/login/grace");
        await grace.GetAsync("/set/secret/diary");
        var mixed = grace.Copy();
        mixed.SetCookie(SignInSite.AuthCookie, ada.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await mixed.GetAsync("/whoami"));
        Assert.Equal("grace", await grace.GetAsync("/whoami"));
        Assert.Equal("diary", await grace.GetAsync("/get/secret"));
    }

    /// <summary>The number of a ticket pairs it with its session, and whose that is must be whose the ticket is, all the same.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_ticket_is_worth_nothing_beside_its_own_session_once_that_is_another_users(bool byOption)
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        if (byOption)
        {
            // Who a user is, is another question from now on: docs/users.md says that this signs everybody out.
            (await StartAttackedAsync(o => o.QualifyByIssuer = true)).TakeOver(browser);
        }
        else
        {
            await (await DatabaseAsync()).HashSetAsync(KeyOf(id), [new("@u", "grace"), new("@v", 4711)]);
        }

        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.DoesNotContain(SignInSite.AuthCookie, browser.Cookies.Keys);
    }

    /// <summary>
    /// Requests that read leave no key. Those that write leave one each, under an id of the server's own: never one that a hostile
    /// cookie chose.
    /// </summary>
    [Fact]
    public async Task Hostile_cookies_leave_no_key_when_they_read_and_one_of_the_servers_own_when_they_write()
    {
        const int Each = 1_000;
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 0, logLevel: LogLevel.Critical);
        var valid = From(site, "192.0.2.1");
        await valid.GetAsync("/set/a/1");
        var cookie = Uri.UnescapeDataString(valid.Cookies[Browser.SessionCookie]);
        var before = await KeysAsync();
        var random = new Random(20261125);
        for (var i = 0; i < Each; i++)
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(Hostile(), "/keys"));
        }

        Assert.Equal(before.Order(), (await KeysAsync()).Order());
        var ids = new HashSet<string>();
        for (var i = 0; i < Each; i++)
        {
            var hostile = Hostile();
            await hostile.GetAsync("/set/planted/1");
            ids.Add(KeyOf(await hostile.GetAsync("/id")));
        }

        Assert.Equal(Each, ids.Count);
        Assert.Equal(ids.Concat(before).Order(), (await KeysAsync()).Order());
        Assert.Equal("a", await valid.GetAsync("/keys"));

        Browser Hostile()
        {
            // One character at least is another one, so that no cookie is the valid one.
            var characters = cookie.ToCharArray();
            for (var i = random.Next(1, 6); i > 0; i--)
            {
                var at = random.Next(characters.Length - 2);
                characters[at] = characters[at] == 'A' ? 'B' : 'A';
            }

            var browser = From(site, "192.0.2.66");
            browser.SetCookie(Browser.SessionCookie, Uri.EscapeDataString(new string(characters, 0, random.Next(characters.Length / 2, characters.Length))));
            return browser;
        }
    }
}
