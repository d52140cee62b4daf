"""Language models as judges: templates of questions, and who is asked."""

from nashalign.preferences.llm.judge import (
    Backend,
    LlmOneOrder,
    LlmPreference,
    LlmReward,
    llm_judge,
)
from nashalign.preferences.llm.local import LocalModel
from nashalign.preferences.llm.pace import Budget, Counts, JudgeFailed, Patience
from nashalign.preferences.llm.ranking import LocalRanker, load_local
from nashalign.preferences.llm.reading import Reply
from nashalign.preferences.llm.replies import Replies, Request, Unkept
from nashalign.preferences.llm.server import Server
from nashalign.preferences.llm.template import Template, load_template, templates
from nashalign.preferences.llm.wire import require_client, require_url

__all__ = [
    "Backend",
    "Budget",
    "Counts",
    "JudgeFailed",
    "LlmOneOrder",
    "LlmPreference",
    "LlmReward",
    "LocalModel",
    "LocalRanker",
    "Patience",
    "Replies",
    "Reply",
    "Request",
    "Server",
    "Template",
    "Unkept",
    "llm_judge",
    "load_local",
    "load_template",
    "require_client",
    "require_url",
    "templates",
]
