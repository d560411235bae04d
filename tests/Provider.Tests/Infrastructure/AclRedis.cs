using System.Text.RegularExpressions;
using StackExchange.Redis;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Used by a user who may do just what docs/keys.md says, on keys of the tests' prefixes.</summary>
public sealed class AclRedis : LocalRedis
{
    protected override string Name => "Redis, a user with an ACL";

    protected override async Task<RedisProcess> StartServersAsync()
    {
        var process = await RedisProcess.StartAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{process.Address},allowAdmin=true");
        await CommandTable.CreateUserAsync(admin.GetDatabase(), "tests", [$"t{new string('?', 32)}:*"], [.. CommandTable.Parts.Keys]);
        return process;
    }

    protected override string AddressOf(RedisProcess servers)
    {
        AdminAddress = servers.Address;
        return $"{servers.Address},user=tests,password={CommandTable.Password}";
    }
}

/// <summary>The table of commands in docs/keys.md, from which an operator writes an ACL.</summary>
public static partial class CommandTable
{
    public const string Password = "secret";

    /// <summary>Commands by part of the library.</summary>
    public static IReadOnlyDictionary<string, string[]> Parts { get; } = RepositoryRoot.Read("docs", "keys.md").Split('\n')
        .SkipWhile(line => line != "| part | commands |")
        .Skip(2)
        .TakeWhile(line => line.StartsWith('|'))
        .Select(line => line.Split('|', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        .ToDictionary(row => row[0], row => Command().Matches(row[1]).Select(match => match.Groups[1].Value).ToArray());

    /// <summary>A user who may use these parts, on keys that match these patterns.</summary>
    public static async Task CreateUserAsync(IDatabase admin, string user, string[] keys, string[] parts)
    {
        string[] commands = [.. parts.SelectMany(part => Parts[part]).Distinct().Select(command => command.Replace(' ', '|').ToLowerInvariant())];

        // A rule that names a command of a later Redis (CLIENT SETINFO) is an error.
        var known = (RedisResult[])(await admin.ExecuteAsync("COMMAND", ["INFO", .. commands]))!;
        string[] rules =
        [
            "reset", "on", $">{Password}", .. keys.Append("__Booksleeve_TieBreak").Select(key => $"~{key}"), "&*",
            .. commands.Where((_, i) => !known[i].IsNull).Select(command => $"+{command}"),
        ];
        await admin.ExecuteAsync("ACL", ["SETUSER", user, .. rules]);
    }

    [GeneratedRegex("`([A-Z]+(?: [A-Z]+)?)`")]
    private static partial Regex Command();
}
