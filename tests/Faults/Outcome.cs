namespace RedisSessions.Faults;

/// <summary>What a fault came to.</summary>
/// <param name="Fault">Which.</param>
/// <param name="Options">How.</param>
/// <param name="Requests">How many were sent.</param>
/// <param name="Failed">How many were not answered with 200.</param>
/// <param name="Longest">The longest answer, seconds.</param>
/// <param name="Recovery">The longest time in which no request was answered, seconds.</param>
/// <param name="Lost">Values that were acknowledged and later not there.</param>
/// <param name="EngineLost">The same of a bare client's.</param>
/// <param name="Diverged">Sessions that two hosts show differently after the end.</param>
/// <param name="WithoutTtl">Keys that never expire.</param>
/// <param name="NotHealed">Entries of the user index whose session is not there.</param>
/// <param name="Reasons">Why requests failed.</param>
public sealed record Outcome(
    Fault Fault,
    FaultOptions Options,
    int Requests,
    int Failed,
    double Longest,
    double Recovery,
    int Lost,
    int EngineLost,
    int Diverged,
    int WithoutTtl,
    int NotHealed,
    IReadOnlyDictionary<string, int> Reasons)
{
    public static string Header =>
        "| fault | stack | wait | requests | failed | longest answer | longest gap | lost | lost by a bare client | diverged | without TTL | not healed |\n|---|---|---|---|---|---|---|---|---|---|---|---|";

    public override string ToString() => FormattableString.Invariant(
        $"| {Fault.What} | {(Options.Stack == Stack.Ours ? "ours" : "Microsoft")}{(Options.Notified ? ", notified" : "")}{(Options.ClientFollows ? ", the client follows" : "")} | {(Options.Stack == Stack.Ours ? $"{Options.Wait.TotalSeconds:0.#} s" : "")} | {Requests:N0} | {Failed:N0} | {Longest:0.00} s | {Recovery:0.00} s | {Lost:N0} | {EngineLost:N0} | {Diverged} | {WithoutTtl} | {NotHealed} |");
}
