using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using RedisSessions.Tests.Model;

namespace RedisSessions.Tests.Attacks.Model;

/// <summary>
/// Whatever browsers, administrators and thieves do in whatever order, on two servers, with Redis slow or cut off: after a revocation or
/// a sign-out nothing authenticated comes from any earlier pair of cookies, nor from a mix of two, and no honest browser is
/// signed out without a reason that <see cref="SignInModel"/> names. A failure prints the
/// smallest history that shows it.
/// </summary>
[Collection(Alone.Name)]
public sealed class SignInModelTests(InProcessGarnet server) : IAsyncLifetime
{
    // More only wait for each other.
    private const int FleetsAtOnce = 4;
    private const string Variable = "SIGN_IN_MODEL_HISTORIES";
    private const int MostKinds = 4;
    private readonly ConcurrentBag<SignInFleet> _fleets = [];

    private static int Histories =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } number ? int.Parse(number, CultureInfo.InvariantCulture)
        : RedisServer.OnCI ? 300 : 100;

    public ValueTask InitializeAsync()
    {
        server.SkipIfMissing();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Nothing_comes_back_from_an_earlier_pair_of_cookies_and_nobody_is_signed_out_without_a_reason()
    {
        var watch = Stopwatch.StartNew();
        var differing = await RedisSessions.Tests.Model.Histories.DifferingAsync(SignInGen.All, Histories, FleetsAtOnce, TakeAsync);
        if (differing.Count > 0)
        {
            Assert.Fail(await SmallestAsync(differing));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{Histories} histories in {watch.Elapsed}.");
    }

    /// <summary>The smallest history of each kind of difference.</summary>
    private async Task<string> SmallestAsync(IEnumerable<Differing<SignInStep[]>> differing)
    {
        var text = new StringBuilder();
        foreach (var kind in differing.GroupBy(one => KindOf(one.Difference)).Take(MostKinds))
        {
            var first = kind.MinBy(one => one.History.Length)!;
            var (history, difference) = await Smallest.OfAsync(first.History, first.Difference, TakeAsync, static step => step.Plainer());
            text.AppendLine(difference).AppendLine(Print(history)).AppendLine(CultureInfo.InvariantCulture, $"the smallest of history {first.Number}");
        }

        return text.ToString();
    }

    // Without what differs in every history: the number of the step, ids and names.
    private static string KindOf(string difference) => Regex.Replace(difference, @"\d+|[a-f0-9-]{8,}", "");

    private async Task<string?> TakeAsync(SignInStep[] history)
    {
        if (!_fleets.TryTake(out var fleet))
        {
            fleet = await SignInFleet.StartAsync((await server.AdminAsync()).GetDatabase(), server.Address);
        }

        var difference = await new SignInRun(fleet).TakeAsync(history);
        _fleets.Add(fleet);
        return difference;
    }

    private static string Print(SignInStep[] history) =>
        string.Join(Environment.NewLine, history.Select((step, index) => $"{index + 1,3}. {step}"));

    public async ValueTask DisposeAsync()
    {
        foreach (var fleet in _fleets)
        {
            await fleet.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }
}
