using System.Reflection;
using System.Text.RegularExpressions;

namespace RedisSessions.Tests.Docs;

/// <summary>What docs/security.md and docs/users.md claim names the test that proves it, and that test is there.</summary>
public sealed partial class NamedTestsTests
{
    // What the application does, and no test of a library can.
    private static readonly string[] Unproved = ["7.1.1 timeouts are documented"];

    private static readonly Type[] Classes = [.. typeof(NamedTestsTests).Assembly.GetTypes().Where(type => type.IsClass)];

    private static readonly HashSet<string> Tests = [.. Classes
        .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance))
        .Where(method => method.GetCustomAttributes<FactAttribute>(inherit: true).Any())
        .Select(method => method.Name)];

    [GeneratedRegex("`([A-Za-z0-9_]+)`")]
    private static partial Regex Name();

    [GeneratedRegex(@"\[((?:[^\[\]]*`[A-Za-z0-9_]+`)[^\[\]]*)\]")]
    private static partial Regex Bracket();

    private static string[] NamesIn(string text) => [.. Name().Matches(text).Select(match => match.Groups[1].Value)];

    /// <summary>The rows of the table below a heading: first cell and last.</summary>
    private static (string What, string Proof)[] Rows(string heading)
    {
        var rows = RepositoryRoot.Read("docs", "security.md").Split('\n')
            .SkipWhile(line => line != heading)
            .SkipWhile(line => !line.StartsWith('|'))
            .Skip(2)
            .TakeWhile(line => line.StartsWith('|'))
            .Select(line => line.Trim('|', '\r').Split(" |").Select(cell => cell.Trim(' ', '|')).ToArray())
            .Select(cells => (cells[0], cells[2]))
            .ToArray();
        Assert.NotEmpty(rows);
        return rows;
    }

    [Theory]
    [InlineData("## OWASP ASVS 5.0, chapter 7")]
    [InlineData("## Threats")]
    public void Every_row_of_the_security_tables_names_a_test_that_is_there(string heading)
    {
        foreach (var (what, proof) in Rows(heading).Where(row => !Unproved.Contains(row.What)))
        {
            var names = NamesIn(proof);
            Assert.True(names.Length > 0, $"\"{what}\" names no test.");
            Assert.All(names, name => Assert.True(Tests.Contains(name), $"\"{what}\" names {name}, which is no test."));
        }
    }

    [Theory]
    [InlineData("security.md")]
    [InlineData("users.md")]
    public void Every_test_named_in_brackets_is_there(string page)
    {
        var classes = Classes.Select(type => type.Name).ToHashSet();
        var names = Bracket().Matches(RepositoryRoot.Read("docs", page)).SelectMany(match => NamesIn(match.Groups[1].Value)).ToArray();
        Assert.NotEmpty(names);
        Assert.All(names, name => Assert.True(Tests.Contains(name) || (name.EndsWith("Tests", StringComparison.Ordinal) && classes.Contains(name)), $"{name} is neither a test nor a class of tests."));
    }
}
