"""The agents this installation knows: invitation, enrolment, renewal, revocation, health."""
