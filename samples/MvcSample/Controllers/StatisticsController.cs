using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;
using RedisSessions;

namespace MvcSample.Controllers;

/// <summary>What the shop's sessions do. A real site would show it to its operators only.</summary>
[Authorize]
public sealed class StatisticsController(ISessionAnalytics analytics) : Controller
{
    [HttpGet]
    public async Task<IActionResult> Index()
    {
        var today = DateOnly.FromDateTime(DateTime.UtcNow);
        return View(new Statistics(
            await analytics.GetMetricsAsync(),
            await analytics.GetDailyReportAsync(today),
            await analytics.GetEventCountsAsync(today),
            await analytics.GetEventsAsync(HttpContext.Session.Id)));
    }
}
